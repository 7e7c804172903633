// SPDX-License-Identifier: BSD-3-Clause
/// The parts of mpix_layout_info's output, each a text of whole lines.
#pragma once

#include <string>
#include <string_view>

#include "base/config.hpp"

namespace mpix::tools {

/// A line "  name   value" with the values of a section in one column.
std::string line(std::string_view name, std::string_view value);

/// The configuration in force; a bad value leaves the default and adds a line to `faults`.
Config config_in_force(char* const* environment, std::string& faults);
/// Values in force, with what set them.
std::string config_section(char* const* environment);
/// The table as the source of mpix_layout(7) has it.
std::string config_manual();

/// How this copy was built, and what it found at run time.
std::string build_section();

/// Cores, NUMA nodes and NICs of this node.
std::string topology_section();
/// The ranks of the job by node; collective over MPI_COMM_WORLD, complete on rank 0.
std::string job_section();

/// What can move data, and why the rest is out. Forks to try cross-memory attach: not to be called after
/// MPI_Init.
std::string transports_section(const Config& config);
/// The part of it that UCX sees.
std::string network_section(const Config& config);

}  // namespace mpix::tools
