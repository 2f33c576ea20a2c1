#include "staple/voice.h"
