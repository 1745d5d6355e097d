/* headwater-tool doctor: whether this machine lets a daemon do what its configuration says. */
#ifndef HW_TESTS_TOOLS_DOCTOR_H
#define HW_TESTS_TOOLS_DOCTOR_H

int doctor_main(int argc, char **argv);

#endif
