package io.github.keybutton.snippet

/** The `context` of the lines that the documents show: here they are compiled against Android's own. */
internal typealias Context = android.content.Context
