/* folders: creates the folders above a file, and removes them. */
#pragma once

#include <sys/types.h>

#include "err.h"

/* Creates the missing folders above the file. *made: the length of the path of the topmost one,
 * also if one below it cannot be created; 0: none was missing. NULL is allowed. */
bool folders_make(const char *path, mode_t mode, size_t *made, struct err *err);
/* Removes the folders that folders_make created, up to the first that is not empty. */
void folders_remove(const char *path, size_t made);
