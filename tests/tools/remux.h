/* headwater-tool remux: a recording in another container. */
#ifndef HW_TESTS_TOOLS_REMUX_H
#define HW_TESTS_TOOLS_REMUX_H

int remux_main(int argc, char **argv);

#endif
