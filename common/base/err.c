/* The error list as strings. */
#include "common/base/err.h"

const char *err_name(enum err e)
{
    switch (e) {
#define ERR_NAME(name, value, text) \
    case name:                      \
        return #name;
        ERR_MAP(ERR_NAME)
#undef ERR_NAME
    }
    return "E_UNKNOWN";
}

const char *err_text(enum err e)
{
    switch (e) {
#define ERR_TEXT(name, value, text) \
    case name:                      \
        return text;
        ERR_MAP(ERR_TEXT)
#undef ERR_TEXT
    }
    return "unknown error";
}
