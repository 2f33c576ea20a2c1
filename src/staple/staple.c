#include "staple/staple.h"
