/* headwater-tool record: a live stream to HLS in a folder. */
#ifndef HW_TESTS_TOOLS_RECORD_H
#define HW_TESTS_TOOLS_RECORD_H

int record_main(int argc, char **argv);

#endif
