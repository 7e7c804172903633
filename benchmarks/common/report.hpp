// SPDX-License-Identifier: BSD-3-Clause
/// What both programs' tables have in common: the head, OSU's columns, and the file of figures.
#pragma once

#include <mpi.h>

#include <string>

#include "benchmarks/common/driver.hpp"
#include "benchmarks/common/json.hpp"
#include "benchmarks/common/options.hpp"

namespace mpix::bench {

/// The lines above the columns: what is measured, with what.
void print_head(const Options& options, const std::string& title, int ranks);

/// Width of the column of Case labels, for all cases that the options ask for.
int label_width(const Options& options, int ranks);

// Cells of a line. Columns are right-aligned but for the first two, as OSU prints them.
void print_case_heads(const Options& options, int width);
void print_case(const Case& what, int width);
void print_cell(const std::string& text);
void print_cell(double value);
void print_validation(Validation validation);
void end_line();

/// Options and surroundings, for the file of figures.
Json describe_run(const Options& options, const std::string& title, int ranks);
Json describe_case(const Case& what, Validation validation);

/// Throws an Error where the file cannot be written.
void write_file(const std::string& path, const Json& content);

}  // namespace mpix::bench
