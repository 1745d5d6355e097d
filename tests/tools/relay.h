/* headwater-tool relay: one pull, one or many pushes. */
#ifndef HW_TESTS_TOOLS_RELAY_H
#define HW_TESTS_TOOLS_RELAY_H

int relay_main(int argc, char **argv);

#endif
