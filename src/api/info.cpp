// SPDX-License-Identifier: BSD-3-Clause
#include "api/info.hpp"

#include "handle/mpi.hpp"

namespace mpix::api {

void for_each_info(MPI_Info info, const std::function<void(const std::string&, const std::string&)>& visit) {
  if (info == MPI_INFO_NULL) return;
  int keys = 0;
  check_mpi(MPI_Info_get_nkeys(info, &keys), "MPI_Info_get_nkeys");
  for (int i = 0; i < keys; ++i) {
    char key[MPI_MAX_INFO_KEY + 1] = "";
    check_mpi(MPI_Info_get_nthkey(info, i, key), "MPI_Info_get_nthkey");
    int length = 0, found = 0;
    check_mpi(MPI_Info_get_valuelen(info, key, &length, &found), "MPI_Info_get_valuelen");
    std::string value(static_cast<std::size_t>(length) + 1, '\0');
    check_mpi(MPI_Info_get(info, key, length, value.data(), &found), "MPI_Info_get");
    value.resize(static_cast<std::size_t>(length));
    if (found != 0) visit(key, value);
  }
}

}  // namespace mpix::api
