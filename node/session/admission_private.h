/* What the files of admission share: admission.c (limits), admission_measure.c (rates). */
#ifndef HW_NODE_SESSION_ADMISSION_PRIVATE_H
#define HW_NODE_SESSION_ADMISSION_PRIVATE_H

#include "node/session/admission.h"

/* What a publisher of the stream may send; 0 = no limit. */
uint64_t admission_ingress_limit(const struct node *node, const struct stream_name *name);
/* Some limit needs rates. */
bool admission_wants_rates(const struct node *node);

#endif
