plugins {
    id("com.android.application") version "8.13.0"
    id("org.jetbrains.kotlin.android") version "2.4.10"
}

android {
    namespace = "com.harbour.app"
    compileSdk = 35

    defaultConfig {
        applicationId = "com.harbour.app"
        minSdk = 26
        targetSdk = 35
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    implementation("io.github.keybutton:keybutton-android:0.1.0")
}
