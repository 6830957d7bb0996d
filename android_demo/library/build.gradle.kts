plugins {
    alias(libs.plugins.android.library)
}

fun fact(name: String) = providers.gradleProperty(name).get()

android {
    namespace = "org.kgan.filter"
    compileSdk = 35

    defaultConfig {
        minSdk = fact("minSdk").toInt()
    }

    // src/interpreter is what `make apk` takes in the place of src/litert.
    sourceSets["main"].java.srcDir("src/litert/java")

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
}

dependencies {
    implementation(libs.litert)
    implementation(libs.litert.gpu)
    testImplementation(libs.junit)
    testImplementation(libs.android.json) // the android.jar of unit tests has org.json's names alone
}
