/* headwater-tool sign: addresses that let in. headwater-tool passwd: lines of a file of users. */
#ifndef HW_TESTS_TOOLS_SIGN_H
#define HW_TESTS_TOOLS_SIGN_H

/* argv[0] is the name; both return the exit code. */
int sign_main(int argc, char **argv);
int passwd_main(int argc, char **argv);

#endif
