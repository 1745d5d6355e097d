/* headwater-tool push: a recording to a server, at its own speed. */
#ifndef HW_TESTS_TOOLS_PUSH_H
#define HW_TESTS_TOOLS_PUSH_H

int push_main(int argc, char **argv);

#endif
