/* What Enhanced RTMP v2 adds to connect. Inside of proto/rtmp. */
#ifndef HW_PROTO_RTMP_ENHANCED_H
#define HW_PROTO_RTMP_ENHANCED_H

#include "proto/amf/amf.h"
#include "proto/rtmp/rtmp.h"

/* Members of a client's connect: the codecs that it takes (or, as a publisher, sends), and more. */
void rtmp_write_abilities(struct buf_writer *body, bool publish, bool reconnects);
/* Reads the command object of a connect. */
void rtmp_read_abilities(const struct amf_value *asked, struct rtmp_abilities *out);
/* Members of the answer's information object: each thing that was asked with. */
void rtmp_write_enhanced(struct buf_writer *body, const struct amf_value *asked);

#endif
