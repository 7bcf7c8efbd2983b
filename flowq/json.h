/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON objects as rows of a text file: common/json.h.
 */
#ifndef FLOWQ_JSON_H
#define FLOWQ_JSON_H

#include "flowq/source_text.h"

extern const struct text_format json_format;

#endif
