/* folders: creates the folders above a file. */
#ifndef AGG_HOST_BASE_FOLDERS_H
#define AGG_HOST_BASE_FOLDERS_H

#include <sys/types.h>

#include "err.h"

/* Creates the missing folders above the file. */
bool folders_make(const char *path, mode_t mode, struct err *err);

#endif
