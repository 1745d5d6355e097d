/* What the simulation knows of connections beyond conn.h. */
#ifndef HW_TESTS_SIM_SIM_CONN_H
#define HW_TESTS_SIM_SIM_CONN_H

#include "common/net/conn.h"

struct sim_end;

/* For how long the oldest byte sent has not arrived: when people and encoders give up. */
int64_t sim_conn_stuck_us(const struct conn *conn);

/* Accepted connections have numbers where the kernel has descriptors: far above any real one, so
 * that close() can tell them apart (ld --wrap). Takes the number back. */
struct sim_end *sim_fd_take(int fd);

#endif
