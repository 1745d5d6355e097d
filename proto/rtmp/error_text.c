/* Texts of errors. */
#include "proto/rtmp/error_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT 160

static char k_no_memory[] = "out of memory"; /* for the reason, or the reason itself */

void rtmp_error_text_set(struct rtmp_error_text *error, const char *format, va_list args)
{
    char text[MAX_TEXT];

    vsnprintf(text, sizeof text, format, args);
    rtmp_error_text_fini(error);
    error->text = strdup(text);
    if (!error->text)
        error->text = k_no_memory;
}

const char *rtmp_error_text(const struct rtmp_error_text *error)
{
    return error->text ? error->text : "";
}

void rtmp_error_text_fini(struct rtmp_error_text *error)
{
    if (error->text != k_no_memory)
        free(error->text);
    error->text = NULL;
}
