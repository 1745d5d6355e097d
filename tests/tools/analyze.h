/* headwater-tool analyze: what is in an FLV file or a transport stream, and what is wrong with it.
 */
#ifndef HW_TESTS_TOOLS_ANALYZE_H
#define HW_TESTS_TOOLS_ANALYZE_H

int analyze_main(int argc, char **argv);

#endif
