/* headwater-tool delay: from camera to player. */
#ifndef HW_TESTS_TOOLS_DELAY_H
#define HW_TESTS_TOOLS_DELAY_H

int delay_main(int argc, char **argv);

#endif
