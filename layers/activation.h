#pragma once
#include <algorithm>

#include "core/scalar.h"
namespace boxgrad {
enum class Activation { none, relu, relu6 };
}
