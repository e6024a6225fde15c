// Asks a URL, and says how it was answered. `bindings/job.h` has all that a host offers, from the WIT in `wit/`.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

// A module's memory is one run's, so that nothing needs to be given back.

static job_string_t string(const char *text) { return (job_string_t){(uint8_t *)text, strlen(text)}; }

// A text made as by printf.
__attribute__((format(printf, 1, 2))) static job_string_t format(const char *how, ...) {
    va_list values, again;
    va_start(values, how);
    va_copy(again, values);
    const int length = vsnprintf(NULL, 0, how, values);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text == NULL) abort();
    vsnprintf(text, (size_t)length + 1, how, again);
    va_end(again);
    va_end(values);
    return (job_string_t){(uint8_t *)text, (size_t)length};
}

// Another attempt can help.
static bool retry(job_failure_t *failure, job_string_t reason) {
    failure->tag = SOLOIST_JOB_TYPES_FAILURE_RETRY;
    failure->val.retry = reason;
    return false;
}

// No further attempt can help.
static bool final(job_failure_t *failure, job_string_t reason) {
    failure->tag = SOLOIST_JOB_TYPES_FAILURE_FINAL;
    failure->val.final = reason;
    return false;
}

static bool fetch(job_string_t url, soloist_job_http_response_t *response, job_failure_t *failure) {
    soloist_job_http_request_t request = {.method = string("GET"), .url = url};
    soloist_job_http_error_t error;
    if (soloist_job_http_fetch(&request, response, &error)) return true;
    switch (error.tag) {
    case SOLOIST_JOB_HTTP_ERROR_DENIED: return final(failure, error.val.denied);
    case SOLOIST_JOB_HTTP_ERROR_INVALID: return final(failure, error.val.invalid);
    case SOLOIST_JOB_HTTP_ERROR_TIMEOUT: return retry(failure, string("no complete answer in time"));
    case SOLOIST_JOB_HTTP_ERROR_TOO_LARGE: return retry(failure, error.val.too_large);
    default: return retry(failure, error.val.failed);
    }
}

// Does the job once. True with a one-line summary for people, or false with a failure.
bool exports_job_run(job_context_t *context, job_string_t *summary, job_failure_t *failure) {
    job_string_t key = string("url"), url;
    if (!soloist_job_config_get(&key, &url)) return final(failure, string("the setting `url` is missing"));
    const int length = (int)url.len;
    const char *text = (const char *)url.ptr;
    const unsigned long long round = context->round;
    job_string_t line = format("round %llu, attempt %u: asking %.*s", round, context->attempt, length, text);
    soloist_job_log_log(SOLOIST_JOB_LOG_LEVEL_INFO, &line);

    soloist_job_http_response_t response;
    if (!fetch(url, &response, failure)) return false;
    if (response.status < 200 || response.status > 299) {
        return retry(failure, format("%.*s answered %u", length, text, response.status));
    }
    *summary = format("%.*s answered %u with %zu bytes", length, text, response.status, response.body.len);
    return true;
}
