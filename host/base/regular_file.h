/* regular_file: a whole text file that people write. FIFOs, devices and sockets, whose reading has
 * effects or never ends, are refused unread; so are a byte-order mark and NUL bytes, which would
 * become part of what is read or end it early. */
#ifndef AGG_HOST_BASE_REGULAR_FILE_H
#define AGG_HOST_BASE_REGULAR_FILE_H

#include <sys/stat.h>

#include "buffer.h"
#include "err.h"

/* Appends the text of the file `name` below the folder that is open as `folder_fd` (AT_FDCWD: the
 * working directory). `path` is its name for people. False: err names the path, and what to do. */
bool regular_file_read(int folder_fd, const char *name, const char *path, size_t max_bytes,
                       struct buffer *text, struct err *err);

/* "a folder", "a FIFO", …; NULL: a regular file. */
const char *regular_file_kind(mode_t mode);

#endif
