package com.harbour.app

import android.app.Activity
import android.app.Application
import android.os.Bundle
import android.view.Gravity
import android.widget.FrameLayout
import android.widget.FrameLayout.LayoutParams
import android.widget.TextView
import io.github.keybutton.Config
import io.github.keybutton.KeybuttonException
import io.github.keybutton.MobileKeys
import io.github.keybutton.Platform
import io.github.keybutton.android
import io.github.keybutton.android.KeyButtonView
import io.github.keybutton.android.KeybuttonPermissions
import kotlin.concurrent.thread
import kotlinx.coroutines.runBlocking

/** A Branded App with one screen: the Home Screen, with the Key Button at the bottom right. */
class HarbourApp : Application() {
    /** The app's keys, made once. */
    lateinit var keys: MobileKeys

    override fun onCreate() {
        super.onCreate()
        keys = MobileKeys(
            Config("https://keys.harbour.example", "com.harbour.app", "Ana's phone", "android"),
            Platform.android(this),
        )
    }

    /** Hands over the session of whoever is signed in to the app. A real app has a coroutine scope for it. */
    fun signIn(token: String) = thread {
        try {
            runBlocking { keys.signIn(token) }
        } catch (_: KeybuttonException) {
            // The Key Button shows why it is not there.
        }
    }
}

class HomeActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        val keys = (application as HarbourApp).keys
        val line = TextView(this).apply { setPadding(SPACE, SPACE, SPACE, SPACE) }
        val button = KeyButtonView(this)
        button.onLook = { line.text = it.text }
        button.keys = keys
        setContentView(
            FrameLayout(this).apply {
                addView(line, wrapped(Gravity.BOTTOM or Gravity.START))
                addView(button, wrapped(Gravity.BOTTOM or Gravity.END))
            },
        )
        requestPermissions(KeybuttonPermissions.toAsk, 0)
        // A real app asks its own back end for the member's session token.
        intent.getStringExtra("session_token")?.let { (application as HarbourApp).signIn(it) }
    }

    private fun wrapped(gravity: Int) = LayoutParams(LayoutParams.WRAP_CONTENT, LayoutParams.WRAP_CONTENT, gravity).apply {
        setMargins(SPACE, SPACE, SPACE, SPACE)
    }

    private companion object {
        const val SPACE = 48
    }
}
