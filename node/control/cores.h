/* How much CPU this process may use: what load is a share of. */
#ifndef HW_NODE_CONTROL_CORES_H
#define HW_NODE_CONTROL_CORES_H

#include <stdbool.h>
#include <stdint.h>

/* In thousandths of a core: the cores that it may run on, or less where its cgroup has a quota, as
 * a container's limit is. At least 1. Any thread; reads two small files of the kernel. */
uint32_t cores_allowed_milli(void);
/* cpu.max of cgroup v2: "200000 100000", quota and period in microseconds. False: "max", or
 * something else; *milli is as it was. */
bool cores_parse_quota(const char *text, uint32_t *milli);

#endif
