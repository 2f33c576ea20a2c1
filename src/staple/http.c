#include "staple/http.h"
