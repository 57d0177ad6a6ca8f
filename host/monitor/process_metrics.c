#include "process_metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/metrics.h"
#include "memory_limit.h"

static struct {
    struct metric_cell *cpu_seconds, *resident_bytes, *virtual_bytes, *threads, *start_time;
    struct metric_cell *open_fds, *max_fds, *memory_limit;
    double boot_time; /* read once: the kernel's value moves by a second, and is no restart */
} cells;

static bool process_metrics_read_file(const char *path, char *text, size_t cap) {
    FILE *file = fopen(path, "re");
    if (!file) {
        return false;
    }
    size_t len = fread(text, 1, cap - 1, file);
    fclose(file);
    text[len] = '\0';
    return len > 0;
}

/* When the machine started, in seconds since 1970; 0: unknown. */
static double process_metrics_boot_time(void) {
    char text[65536];
    double seconds = 0;
    const char *at =
        process_metrics_read_file("/proc/stat", text, sizeof text) ? strstr(text, "btime ") : NULL;
    return at && sscanf(at, "btime %lf", &seconds) == 1 ? seconds : 0;
}

static void process_metrics_make_cells(void) {
    cells.cpu_seconds = metric_single(METRIC_COUNTER, "process_cpu_seconds_total",
                                      "User and system time spent, in seconds.");
    cells.resident_bytes =
        metric_single(METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory, in bytes.");
    cells.virtual_bytes =
        metric_single(METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory, in bytes.");
    cells.threads = metric_single(METRIC_GAUGE, "process_threads", "Threads of the process.");
    cells.start_time = metric_single(METRIC_GAUGE, "process_start_time_seconds",
                                     "When the process started, in seconds since 1970.");
    cells.open_fds = metric_single(METRIC_GAUGE, "process_open_fds", "Open file descriptors.");
    cells.max_fds = metric_single(METRIC_GAUGE, "process_max_fds", "File descriptors it may open.");
    cells.boot_time = process_metrics_boot_time();
    if (memory_limit_bytes("/proc/self/cgroup", "/sys/fs/cgroup") >
        0) { /* else the page has no such metric */
        cells.memory_limit =
            metric_single(METRIC_GAUGE, "ras_memory_limit_bytes",
                          "Memory that the control group of the process may use, in bytes.");
    }
    struct metric *build =
        metric_family(METRIC_GAUGE, "ras_build_info", "1, under the program's version.", "version");
    metric_set(metric_cell(build, AGGREGATOR_VERSION), 1);
}

/* proc(5): after the name in parentheses, utime is the 12th field, then come stime, …, num_threads
 * (18th), starttime (20th), vsize (21st, bytes), rss (22nd, pages). */
static void process_metrics_read_stat(void) {
    char text[4096];
    unsigned long user, system, started, virtual_bytes;
    long threads, resident_pages;
    const char *at =
        process_metrics_read_file("/proc/self/stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    if (!at ||
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d "
               "%lu %lu %ld",
               &user, &system, &threads, &started, &virtual_bytes, &resident_pages) != 6) {
        return;
    }
    double ticks = (double)sysconf(_SC_CLK_TCK);
    metric_set(cells.cpu_seconds, (double)(user + system) / ticks);
    metric_set(cells.threads, (double)threads);
    metric_set(cells.virtual_bytes, (double)virtual_bytes);
    metric_set(cells.resident_bytes, (double)resident_pages * (double)sysconf(_SC_PAGESIZE));
    if (cells.boot_time > 0) {
        metric_set(cells.start_time, cells.boot_time + (double)started / ticks);
    }
}

static void process_metrics_count_descriptors(void) {
    struct rlimit limit;
    DIR *folder = opendir("/proc/self/fd");
    if (folder) {
        int count = -3; /* ".", ".." and the folder's descriptor */
        while (readdir(folder)) {
            count++;
        }
        closedir(folder);
        metric_set(cells.open_fds, count);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        metric_set(cells.max_fds, (double)limit.rlim_cur);
    }
}

void process_metrics_update(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, process_metrics_make_cells);
    process_metrics_read_stat();
    process_metrics_count_descriptors();
    if (cells.memory_limit) {
        metric_set(cells.memory_limit, memory_limit_bytes("/proc/self/cgroup", "/sys/fs/cgroup"));
    }
}
