/* folders: creates the folders above a file. */
#pragma once

#include <sys/types.h>

#include "err.h"

/* Creates the missing folders above the file. */
bool folders_make(const char *path, mode_t mode, struct err *err);
