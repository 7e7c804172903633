// SPDX-License-Identifier: BSD-3-Clause
/// The tables of host kernels, one function a translation unit. Each unit is compiled with the flags of its
/// instruction set; a function returns null where the compiler did not target that set.
#pragma once

#include "kernels/host.hpp"

namespace mpix::kernels {

const HostKernels* avx512_kernels() noexcept;
const HostKernels* avx2_kernels() noexcept;
const HostKernels* portable_kernels() noexcept;

}  // namespace mpix::kernels
