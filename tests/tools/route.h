/* headwater-tool route: where a scheduler sends whom, and why. */
#ifndef HW_TESTS_TOOLS_ROUTE_H
#define HW_TESTS_TOOLS_ROUTE_H

int route_main(int argc, char **argv);

#endif
