/* What a service manager is told: the protocol of sd_notify(3), without its library. Nothing is
 * done where NOTIFY_SOCKET is not set. Any thread. */
#ifndef HW_COMMON_NET_NOTIFY_H
#define HW_COMMON_NET_NOTIFY_H

#include <stdint.h>

#include "common/base/err.h"

/* "READY=1", "STOPPING=1", "WATCHDOG=1"; several with newlines between. E_OK also when nobody
 * listens for it; E_INVAL  NOTIFY_SOCKET is no path and no name of a socket E_IO     it could not
 * be sent: errno */
enum err notify_say(const char *text);
/* The same, and a log line where it cannot be said. */
void notify_or_warn(const char *area, const char *text);
/* Half the time within which WATCHDOG=1 has to come, again and again; 0: nobody waits for it. */
int64_t notify_watchdog_ms(void);

#endif
