/* headwater-tool load: publishers and players by the thousand, measured. */
#ifndef HW_TESTS_TOOLS_LOAD_H
#define HW_TESTS_TOOLS_LOAD_H

/* argv[0] is the subcommand. Returns the exit code. */
#include "tests/tools/load_options.h"

int load_main(int argc, char **argv);
/* The same for another command. Once in a program. Returns the exit code. */
int load_run(const char *command, const struct load_options *options);

#endif
