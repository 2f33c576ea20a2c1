#include "staple/response.h"
