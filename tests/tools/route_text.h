/* The answer of a scheduler to "/v1/route?explain=1" as a table for people. Sans I/O. */
#ifndef HW_TESTS_TOOLS_ROUTE_TEXT_H
#define HW_TESTS_TOOLS_ROUTE_TEXT_H

#include <jansson.h>

#include "common/base/buf.h"

/* Members that are not there are left out; text of the answer loses its control characters. */
void route_write_text(struct buf_writer *out, const json_t *answer);

#endif
