/* openapi.json as it was when the program was built (embed.cmake). */
#ifndef HW_NODE_CONTROL_OPENAPI_FILE_H
#define HW_NODE_CONTROL_OPENAPI_FILE_H

#include <stddef.h>

extern const unsigned char k_openapi_file[];
extern const size_t k_openapi_file_bytes;

#endif
