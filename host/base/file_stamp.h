/* file_stamp: tells whether files have changed, without reading them. */
#pragma once

#include <stdint.h>

/* Hash of the file's device, inode, size and times, and of the stamp `before`: it changes when the
 * file is written, replaced or, as a mounted secret, linked to another one. */
uint64_t file_stamp(const char *path, uint64_t before);
