/* The files of the console as they were when the program was built: console.cmake makes the table.
 */
#ifndef HW_COMMON_CONSOLE_FILES_H
#define HW_COMMON_CONSOLE_FILES_H

#include <stddef.h>

struct console_file {
    const char *name; /* as in the URL, behind /console/; NULL ends the table */
    const unsigned char *bytes;
    const size_t *n_bytes;
};
extern const struct console_file k_console_files[];

#endif
