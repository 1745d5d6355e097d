/* timerfd on the loop. */
#include "tests/tools/alarm_at.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <event2/event.h>

static void on_expired(evutil_socket_t fd, short what, void *arg)
{
    struct alarm_at *alarm = arg;
    uint64_t n_expired;

    (void)what;
    if (read(fd, &n_expired, sizeof n_expired) == (ssize_t)sizeof n_expired)
        alarm->run(alarm);
}

enum err alarm_at_init(struct alarm_at *alarm, struct loop *loop,
                       void (*run)(struct alarm_at *alarm))
{
    *alarm = (struct alarm_at){.run = run};
    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (alarm->fd < 0)
        return E_IO;
    alarm->ev = event_new(loop_base(loop), alarm->fd, EV_READ | EV_PERSIST, on_expired, alarm);
    if (alarm->ev && event_add(alarm->ev, NULL) == 0)
        return E_OK;
    alarm_at_fini(alarm);
    return E_NOMEM;
}

void alarm_at_set(struct alarm_at *alarm, int64_t at_us)
{
    struct itimerspec when = {.it_value = {at_us / 1000000, at_us % 1000000 * 1000}};

    if (at_us <= 0) /* all zero would switch it off */
        when.it_value = (struct timespec){0, 1};
    timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void alarm_at_fini(struct alarm_at *alarm)
{
    if (alarm->ev)
        event_free(alarm->ev);
    if (alarm->fd >= 0)
        close(alarm->fd);
    *alarm = (struct alarm_at){.fd = -1};
}
