/* headwater-tool pull: a live stream into a file. */
#ifndef HW_TESTS_TOOLS_PULL_H
#define HW_TESTS_TOOLS_PULL_H

int pull_main(int argc, char **argv);

#endif
