package io.github.keybutton

import io.github.keybutton.stage.text
import io.github.keybutton.story.StoryTest
import io.github.keybutton.story.spell
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class ErrorTableTest {
    @Test
    fun `the table seen from Kotlin is the one written down`() {
        val file = StoryTest.read("errors.json")
        assertEquals(1, file.getValue("version").jsonPrimitive.int)
        val written = file.getValue("errors").jsonArray.map { it.jsonObject }
        val names = listOf("name", "side", "retry", "message", "remedy")
        assertEquals(
            written.map { row -> names.map { row.text(it) } },
            errorCodes().map { code ->
                listOf(code.code(), spell(code.side()), spell(code.retry()), code.message(), code.remedy())
            },
        )
        assertEquals(ErrorCode.entries, errorCodes(), "every code has its row")
        assertEquals(written.size, errorCodes().size)
    }

    @Test
    fun `an exception has the words of its row`() {
        for (code in errorCodes()) {
            val error = KeyException.Failed(code).translated()
            assertEquals(code.message(), error.message)
            assertEquals(listOf(code.side(), code.retry(), code.remedy()), listOf(error.side, error.retry, error.remedy))
        }
    }

}
