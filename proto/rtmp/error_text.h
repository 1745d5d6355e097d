/* Why a connection was given up, as text for the log. Few connections come to that, so none holds
 * room for it: the text is allocated when there is one. Inside of proto/rtmp. */
#ifndef HW_PROTO_RTMP_ERROR_TEXT_H
#define HW_PROTO_RTMP_ERROR_TEXT_H

#include <stdarg.h>

struct rtmp_error_text {
    char *text; /* owned; NULL while nothing went wrong */
};

/* Replaces the text. */
void rtmp_error_text_set(struct rtmp_error_text *error, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* Never NULL: "" while nothing went wrong. Lent until the next set or fini. */
const char *rtmp_error_text(const struct rtmp_error_text *error);
/* Fine on a zeroed one. */
void rtmp_error_text_fini(struct rtmp_error_text *error);

#endif
