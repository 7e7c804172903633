/* SPDX-License-Identifier: BSD-3-Clause */
/* Error checks and memory. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stddef.h>

/* Ends the job with MPI's text where `code` is not MPI_SUCCESS. */
void check(int code, const char* call);
#define CHECK(call) check((call), #call)

/* As malloc, but never NULL. */
void* allocate(size_t bytes);

#endif
