/* Private to proto/ws: what writer and decoder share. */
#ifndef HW_PROTO_WS_FRAME_H
#define HW_PROTO_WS_FRAME_H

#include <stdbool.h>

/* May the code stand in a close frame? Section 7.4. */
bool ws_is_close_code(unsigned code);

#endif
