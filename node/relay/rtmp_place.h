/* What an RTMP client says of where it goes, from a URL. */
#ifndef HW_NODE_RELAY_RTMP_PLACE_H
#define HW_NODE_RELAY_RTMP_PLACE_H

#include "common/base/err.h"

struct rtmp_place {
    char app[1100]; /* with the tcUrl's query */
    char stream[1100], tc_url[1700];
};

/* rtmp[s]://host[:port]/app[/sub]/name[?query]: the last part is the stream, the rest the app.
 * stream not "": the URL is a tcUrl, all of it the app, and that is played there. E_INVAL: not such
 * a URL. A user and password stay out of it. */
enum err rtmp_place_of(const char *url, const char *stream, unsigned default_port,
                       struct rtmp_place *out);

#endif
