/* regular_file: reads a whole text file. Refuses FIFOs, devices and sockets (a read has effects or
 * never ends), a byte-order mark and NUL bytes. */
#pragma once

#include "buffer.h"
#include "err.h"

/* Appends the text of the file `name` in the open folder `folder_fd` (or AT_FDCWD). `path` is the
 * file's name in errors. */
bool regular_file_read(int folder_fd, const char *name, const char *path, size_t max_bytes,
                       struct buffer *text, struct err *err);
