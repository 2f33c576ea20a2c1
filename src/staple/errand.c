#include "staple/errand.h"
