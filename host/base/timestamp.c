#include "timestamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FIRST_S (TIMESTAMP_FIRST_US / 1000000)
#define LAST_S (TIMESTAMP_LAST_US / 1000000)
#define DAY_US 86400000000LL

struct reader {
    const char *at;
    const char *end;
};

static bool timestamp_read_digits(struct reader *reader, int count, int *value) {
    *value = 0;
    for (int i = 0; i < count; i++) {
        if (reader->at == reader->end || *reader->at < '0' || *reader->at > '9') {
            return false;
        }
        *value = *value * 10 + (*reader->at++ - '0');
    }
    return true;
}

static bool timestamp_read_char(struct reader *reader, char wanted) {
    if (reader->at == reader->end || *reader->at != wanted) {
        return false;
    }
    reader->at++;
    return true;
}

static bool timestamp_read_fraction(struct reader *reader, int64_t *us) {
    int64_t unit = 100000;
    int digits = 0;
    *us = 0;
    if (!timestamp_read_char(reader, '.') && !timestamp_read_char(reader, ',')) {
        return true;
    }
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        *us += (*reader->at++ - '0') * unit;
        unit /= 10;
        digits++;
    }
    return digits > 0 && digits <= 9;
}

static bool timestamp_read_offset(struct reader *reader, int64_t *seconds) {
    *seconds = 0;
    if (reader->at == reader->end) {
        return true;
    }
    char sign = *reader->at++;
    if (sign == 'Z' || sign == 'z') {
        return true;
    }
    int hours, minutes = 0;
    if ((sign != '+' && sign != '-') || !timestamp_read_digits(reader, 2, &hours)) {
        return false;
    }
    bool colon = timestamp_read_char(reader, ':');
    if ((colon || reader->at < reader->end) && !timestamp_read_digits(reader, 2, &minutes)) {
        return false;
    }
    if (hours > 23 || minutes > 59) {
        return false;
    }
    *seconds = (hours * 60LL + minutes) * 60 * (sign == '-' ? -1 : 1);
    return true;
}

static int timestamp_days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01, proleptic Gregorian; years begin in March, the leap day is the last. */
static int64_t timestamp_days_from_civil(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

struct civil {
    int year, month, day, hour, minute, second;
    int64_t fraction_us;
    int64_t offset_s;
};

static bool timestamp_read_date(struct reader *reader, struct civil *civil) {
    return timestamp_read_digits(reader, 4, &civil->year) && timestamp_read_char(reader, '-') &&
           timestamp_read_digits(reader, 2, &civil->month) && timestamp_read_char(reader, '-') &&
           timestamp_read_digits(reader, 2, &civil->day);
}

static bool timestamp_read_time(struct reader *reader, struct civil *civil) {
    if (!timestamp_read_digits(reader, 2, &civil->hour) || !timestamp_read_char(reader, ':') ||
        !timestamp_read_digits(reader, 2, &civil->minute)) {
        return false;
    }
    bool has_seconds = timestamp_read_char(reader, ':');
    return !has_seconds || (timestamp_read_digits(reader, 2, &civil->second) &&
                            timestamp_read_fraction(reader, &civil->fraction_us));
}

static bool timestamp_in_range(const struct civil *civil) {
    return civil->year >= 1 && civil->month >= 1 && civil->month <= 12 && civil->day >= 1 &&
           civil->day <= timestamp_days_in_month(civil->year, civil->month) && civil->hour <= 23 &&
           civil->minute <= 59 && civil->second <= 59;
}

bool timestamp_parse(struct slice text, int64_t *unix_us) {
    struct reader reader = {text.data, text.data + text.len};
    struct civil civil = {0};
    bool separated = timestamp_read_date(&reader, &civil) &&
                     (timestamp_read_char(&reader, 'T') || timestamp_read_char(&reader, 't') ||
                      timestamp_read_char(&reader, ' '));
    if (!separated || !timestamp_read_time(&reader, &civil) ||
        !timestamp_read_offset(&reader, &civil.offset_s) || reader.at != reader.end ||
        !timestamp_in_range(&civil)) {
        return false;
    }
    int64_t seconds = timestamp_days_from_civil(civil.year, civil.month, civil.day) * 86400 +
                      civil.hour * 3600 + civil.minute * 60 + civil.second - civil.offset_s;
    if (seconds < FIRST_S || seconds > LAST_S) {
        return false; /* in UTC outside the years 1 to 9999 */
    }
    *unix_us = seconds * 1000000 + civil.fraction_us;
    return true;
}

size_t timestamp_format(int64_t unix_us, char out[TIMESTAMP_TEXT_CAP]) {
    int64_t fraction_us = unix_us % 1000000;
    time_t seconds = (time_t)(unix_us / 1000000);
    struct tm tm;
    if (fraction_us < 0) {
        fraction_us += 1000000;
        seconds--;
    }
    gmtime_r(&seconds, &tm);
    int len =
        snprintf(out, TIMESTAMP_TEXT_CAP, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)fraction_us);
    return (size_t)len;
}

bool date_parse(struct slice text, int64_t *unix_days) {
    struct reader reader = {text.data, text.data + text.len};
    struct civil civil = {0};
    if (!timestamp_read_date(&reader, &civil) || reader.at != reader.end ||
        !timestamp_in_range(&civil)) {
        return false;
    }
    *unix_days = timestamp_days_from_civil(civil.year, civil.month, civil.day);
    return true;
}

void date_format(int64_t unix_days, char out[DATE_TEXT_LEN + 1]) {
    char text[TIMESTAMP_TEXT_CAP];
    timestamp_format(unix_days * DAY_US, text);
    memcpy(out, text, DATE_TEXT_LEN);
    out[DATE_TEXT_LEN] = '\0';
}
