/* AAC: AudioSpecificConfig (ISO 14496-3 1.6.2.1) and the ADTS header (1.A.2.2.1). Sans I/O. */
#ifndef HW_PROTO_CODEC_AAC_H
#define HW_PROTO_CODEC_AAC_H

#include "common/base/buf.h"

#define AAC_ADTS_BYTES 7 /* without CRC */
#define AAC_ADTS_MAX_FRAME_BYTES (0x1fffu - AAC_ADTS_BYTES)

struct aac_config {
    uint8_t object_type;    /* table 1.17 of the core: 2 = LC; behind SBR (5) or PS (29) as well */
    uint8_t rate_index;     /* table 1.18 of the core; 15 = a rate of its own */
    uint8_t channel_config; /* table 1.19; 0 = the channels are in a program_config_element */
    uint8_t channels;
    bool sbr, ps; /* said by the configuration; "implicit signalling" says nothing */
    uint32_t core_rate_hz;
    uint32_t output_rate_hz;    /* with SBR said: of the extension */
    uint16_t samples_per_frame; /* of the core: 1024 or 960 */
};
/* E_OK, or E_PROTO with a static *why: cut off, reserved rate or channels, object type 0. *out is
 * written only on E_OK. */
enum err aac_parse_config(struct buf_view config, struct aac_config *out, const char **why);

/* Writes the ADTS header of one raw frame. E_UNSUPPORTED with *why: what ADTS cannot say (object
 * types above 4, a rate of its own, program_config_element); E_TOO_BIG: frame_bytes above
 * AAC_ADTS_MAX_FRAME_BYTES. */
enum err aac_put_adts(const struct aac_config *config, size_t frame_bytes,
                      uint8_t out[AAC_ADTS_BYTES], const char **why);
/* Some senders put ADTS where raw frames are promised. Lends the raw frame behind the header when
 * the frame is exactly one ADTS frame, else the frame as it is: a raw frame that starts like one is
 * empty, for the first three bits would be ID_END. */
struct buf_view aac_skip_adts(struct buf_view frame);

/* One frame behind an ADTS header. */
struct aac_adts {
    uint8_t object_type, rate_index, channel_config;
    uint32_t rate_hz;
    struct buf_view raw; /* lent by what was read: without header and CRC */
};
/* Takes the next ADTS frame. E_OK; E_AGAIN: it is not all there; E_PROTO: no ADTS frame stands
 * here, or one of several raw blocks or with the channels in a program_config_element, which FLV
 * and MP4 have no place for. *in moves only with E_OK. */
enum err aac_next_adts(struct buf_reader *in, struct aac_adts *out);
/* What AudioSpecificConfig says of it. */
#define AAC_CONFIG_BYTES 2
void aac_put_config(const struct aac_adts *adts, uint8_t out[AAC_CONFIG_BYTES]);

#endif
