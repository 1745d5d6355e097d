/* headwater-tool ask: how many requests a second an HTTP server answers, and how soon. */
#ifndef HW_TESTS_TOOLS_ASK_H
#define HW_TESTS_TOOLS_ASK_H

/* argv[0] is the subcommand. Returns the exit code. */
int ask_main(int argc, char **argv);

#endif
